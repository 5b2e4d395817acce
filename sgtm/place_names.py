"""Names of countries, and of the states of the US and Canada -> their codes.

SPEC: meta-capi 4.3 (`st`, `country`). A name is looked up by its letters alone: `letters_of`.
"""

from sgtm._fast.identifiers import DIGITS, OTHER, PUNCTUATION, SPACE, clean


def letters_of(text: str) -> str:
    """The letters of a text in lower case, without anything between them."""
    return clean(text, SPACE | PUNCTUATION | DIGITS | OTHER)


def _table(rows: str) -> dict[str, str]:
    """Letters of each name -> code, from `code name/name; code name`; & and "St" for "and", "Saint"."""
    table = {}
    for row in " ".join(rows.split()).split(";"):
        code, names = row.split(maxsplit=1)
        for name in names.split("/"):
            for spelling in (name, name.replace(" and ", " "), name.replace("Saint ", "St ")):
                table[letters_of(spelling)] = code
    return table


# US states, territories, and Canadian provinces: USPS and Canada Post codes
REGIONS = _table(
    """al Alabama; ak Alaska; az Arizona; ar Arkansas; ca California; co Colorado; ct Connecticut;
    de Delaware; dc District of Columbia/Washington DC; fl Florida; ga Georgia; hi Hawaii; id Idaho;
    il Illinois; in Indiana; ia Iowa; ks Kansas; ky Kentucky; la Louisiana; me Maine; md Maryland;
    ma Massachusetts; mi Michigan; mn Minnesota; ms Mississippi; mo Missouri; mt Montana; ne Nebraska;
    nv Nevada; nh New Hampshire; nj New Jersey; nm New Mexico; ny New York; nc North Carolina;
    nd North Dakota; oh Ohio; ok Oklahoma; or Oregon; pa Pennsylvania; ri Rhode Island;
    sc South Carolina; sd South Dakota; tn Tennessee; tx Texas; ut Utah; vt Vermont; va Virginia;
    wa Washington; wv West Virginia; wi Wisconsin; wy Wyoming; as American Samoa; gu Guam;
    mp Northern Mariana Islands; pr Puerto Rico; vi US Virgin Islands/Virgin Islands;
    ab Alberta; bc British Columbia; mb Manitoba; nb New Brunswick; nl Newfoundland and Labrador/Newfoundland;
    ns Nova Scotia; nt Northwest Territories; nu Nunavut; on Ontario; pe Prince Edward Island;
    qc Quebec/Québec; sk Saskatchewan; yt Yukon/Yukon Territory"""
)

# ISO 3166-1: alpha-2, alpha-3, English names
_COUNTRY_ROWS = """
ad and Andorra; ae are United Arab Emirates/Emirates/UAE; af afg Afghanistan; ag atg Antigua and
Barbuda; ai aia Anguilla; al alb Albania; am arm Armenia; ao ago Angola; aq ata Antarctica; ar arg
Argentina; as asm American Samoa; at aut Austria; au aus Australia; aw abw Aruba; ax ala Åland
Islands/Aland Islands; az aze Azerbaijan; ba bih Bosnia and Herzegovina; bb brb Barbados; bd bgd
Bangladesh; be bel Belgium; bf bfa Burkina Faso; bg bgr Bulgaria; bh bhr Bahrain; bi bdi Burundi; bj ben
Benin; bl blm Saint Barthélemy/Saint Barthelemy; bm bmu Bermuda; bn brn Brunei/Brunei Darussalam; bo bol
Bolivia; bq bes Bonaire, Sint Eustatius and Saba/Bonaire/Caribbean Netherlands; br bra Brazil; bs bhs
Bahamas; bt btn Bhutan; bv bvt Bouvet Island; bw bwa Botswana; by blr Belarus; bz blz Belize; ca can
Canada; cc cck Cocos Islands/Keeling Islands; cd cod Democratic Republic of the Congo/DR Congo/DRC; cf
caf Central African Republic; cg cog Congo/Republic of the Congo; ch che Switzerland; ci civ Côte
d'Ivoire/Cote d'Ivoire/Ivory Coast; ck cok Cook Islands; cl chl Chile; cm cmr Cameroon; cn chn
China/People's Republic of China; co col Colombia; cr cri Costa Rica; cu cub Cuba; cv cpv Cape
Verde/Cabo Verde; cw cuw Curaçao/Curacao; cx cxr Christmas Island; cy cyp Cyprus; cz cze Czechia/Czech
Republic; de deu Germany; dj dji Djibouti; dk dnk Denmark; dm dma Dominica; do dom Dominican Republic;
dz dza Algeria; ec ecu Ecuador; ee est Estonia; eg egy Egypt; eh esh Western Sahara; er eri Eritrea; es
esp Spain; et eth Ethiopia; fi fin Finland; fj fji Fiji; fk flk Falkland Islands/Malvinas; fm fsm
Micronesia/Federated States of Micronesia; fo fro Faroe Islands; fr fra France; ga gab Gabon; gb gbr
United Kingdom/Great Britain/Britain/England/Scotland/Wales/Northern Ireland/UK; gd grd Grenada; ge geo
Georgia; gf guf French Guiana; gg ggy Guernsey; gh gha Ghana; gi gib Gibraltar; gl grl Greenland; gm gmb
Gambia; gn gin Guinea; gp glp Guadeloupe; gq gnq Equatorial Guinea; gr grc Greece; gs sgs South Georgia
and the South Sandwich Islands; gt gtm Guatemala; gu gum Guam; gw gnb Guinea-Bissau; gy guy Guyana; hk
hkg Hong Kong; hm hmd Heard Island and McDonald Islands; hn hnd Honduras; hr hrv Croatia; ht hti Haiti;
hu hun Hungary; id idn Indonesia; ie irl Ireland/Republic of Ireland; il isr Israel; im imn Isle of Man;
in ind India; io iot British Indian Ocean Territory; iq irq Iraq; ir irn Iran/Islamic Republic of Iran;
is isl Iceland; it ita Italy; je jey Jersey; jm jam Jamaica; jo jor Jordan; jp jpn Japan; ke ken Kenya;
kg kgz Kyrgyzstan; kh khm Cambodia; ki kir Kiribati; km com Comoros; kn kna Saint Kitts and Nevis; kp
prk North Korea; kr kor South Korea/Korea/Republic of Korea; kw kwt Kuwait; ky cym Cayman Islands; kz
kaz Kazakhstan; la lao Laos/Lao People's Democratic Republic; lb lbn Lebanon; lc lca Saint Lucia; li lie
Liechtenstein; lk lka Sri Lanka; lr lbr Liberia; ls lso Lesotho; lt ltu Lithuania; lu lux Luxembourg; lv
lva Latvia; ly lby Libya; ma mar Morocco; mc mco Monaco; md mda Moldova/Republic of Moldova; me mne
Montenegro; mf maf Saint Martin; mg mdg Madagascar; mh mhl Marshall Islands; mk mkd North
Macedonia/Macedonia; ml mli Mali; mm mmr Myanmar/Burma; mn mng Mongolia; mo mac Macao/Macau; mp mnp
Northern Mariana Islands; mq mtq Martinique; mr mrt Mauritania; ms msr Montserrat; mt mlt Malta; mu mus
Mauritius; mv mdv Maldives; mw mwi Malawi; mx mex Mexico; my mys Malaysia; mz moz Mozambique; na nam
Namibia; nc ncl New Caledonia; ne ner Niger; nf nfk Norfolk Island; ng nga Nigeria; ni nic Nicaragua; nl
nld Netherlands/Holland; no nor Norway; np npl Nepal; nr nru Nauru; nu niu Niue; nz nzl New Zealand; om
omn Oman; pa pan Panama; pe per Peru; pf pyf French Polynesia; pg png Papua New Guinea; ph phl
Philippines; pk pak Pakistan; pl pol Poland; pm spm Saint Pierre and Miquelon; pn pcn Pitcairn/Pitcairn
Islands; pr pri Puerto Rico; ps pse Palestine/State of Palestine; pt prt Portugal; pw plw Palau; py pry
Paraguay; qa qat Qatar; re reu Réunion/Reunion; ro rou Romania; rs srb Serbia; ru rus Russia/Russian
Federation; rw rwa Rwanda; sa sau Saudi Arabia; sb slb Solomon Islands; sc syc Seychelles; sd sdn Sudan;
se swe Sweden; sg sgp Singapore; sh shn Saint Helena; si svn Slovenia; sj sjm Svalbard and Jan Mayen; sk
svk Slovakia/Slovak Republic; sl sle Sierra Leone; sm smr San Marino; sn sen Senegal; so som Somalia; sr
sur Suriname; ss ssd South Sudan; st stp São Tomé and Príncipe/Sao Tome and Principe; sv slv El
Salvador; sx sxm Sint Maarten; sy syr Syria/Syrian Arab Republic; sz swz Eswatini/Swaziland; tc tca
Turks and Caicos Islands; td tcd Chad; tf atf French Southern Territories; tg tgo Togo; th tha Thailand;
tj tjk Tajikistan; tk tkl Tokelau; tl tls Timor-Leste/East Timor; tm tkm Turkmenistan; tn tun Tunisia;
to ton Tonga; tr tur Türkiye/Turkey/Turkiye; tt tto Trinidad and Tobago; tv tuv Tuvalu; tw twn Taiwan;
tz tza Tanzania/United Republic of Tanzania; ua ukr Ukraine; ug uga Uganda; um umi United States Minor
Outlying Islands; us usa United States/United States of America/America; uy ury Uruguay; uz uzb
Uzbekistan; va vat Vatican City/Vatican/Holy See; vc vct Saint Vincent and the Grenadines; ve ven
Venezuela; vg vgb British Virgin Islands; vi vir US Virgin Islands/United States Virgin Islands/Virgin
Islands; vn vnm Vietnam/Viet Nam; vu vut Vanuatu; wf wlf Wallis and Futuna; ws wsm Samoa; ye yem Yemen;
yt myt Mayotte; za zaf South Africa; zm zmb Zambia; zw zwe Zimbabwe
"""
COUNTRIES = {"uk": "gb"}
for _row in _COUNTRY_ROWS.split(";"):
    _alpha_2, _alpha_3, _names = _row.split(maxsplit=2)
    COUNTRIES |= {_alpha_2: _alpha_2, _alpha_3: _alpha_2} | _table(f"{_alpha_2} {_names}")
