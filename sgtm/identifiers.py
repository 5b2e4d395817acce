"""Normalise and hash user data: one table of vendors' rules.

A row is what one vendor wants of one field before it is hashed; a vendor that wants the same as
another takes its function, a new vendor is a new dict in `RULES`. SPEC: meta-capi 4.2 to 4.6 (Meta),
vendor-tags 1.2 (all vendors side by side).

What holds for every row: a value that is nothing (`""`, `undefined`, `null`, `(not set)`) is left out
and never hashed (T6); one that is a digest already passes in lower case, so hashing twice is
impossible; one that cannot be what its field says is dropped, never the event.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from msgspec import Struct

from sgtm._fast.identifiers import (
    DIGITS,
    OTHER,
    PUNCTUATION,
    SPACE,
    as_digest,
    clean,
    digits,
    is_email,
    sha256_hex,
    sha256_hex_many,
)
from sgtm.event import number_text, to_number

LATEST_YEAR = 9999
_NOTHING = frozenset({"", "undefined", "null", "(not set)"})


class Rule(Struct, frozen=True):
    """How one vendor wants one field to look before it is hashed."""

    normalise: Callable[[str], str | None]
    """Gets a text that is not empty; what it returns (None or "": drop) is hashed."""
    allows_md5: bool = True
    """32 hex digits count as a digest. Not for ids: a UUID without dashes looks like one (T3)."""
    begins_with_year: bool = False
    """The result begins with a year, which must be 1900 or later and not in the future."""


# -- what callers use --------------------------------------------------------------------------


def hash_user_data(vendor: str, field: str, value: Any, *, year: int = LATEST_YEAR) -> str | None:
    """Digest of one value as `vendor` wants `field`, 64 hex digits (32 where MD5 came in); None: leave
    it out. `value`: text or number, whatever else is left out. `year`: of the event, the latest that a
    date of birth may have. Raises KeyError where the table has no such row."""
    found = _prepare(RULES[vendor][field], value, year)
    if found is None:
        return None
    text, is_digest = found
    return text if is_digest else sha256_hex(text)


def normalise_user_data(vendor: str, field: str, value: Any, *, year: int = LATEST_YEAR) -> str | None:
    """What `hash_user_data` hashes; a digest is its own normal form."""
    found = _prepare(RULES[vendor][field], value, year)
    return found[0] if found else None


def hash_person(
    vendor: str, found: Mapping[str, Iterable[Any]], *, year: int = LATEST_YEAR
) -> dict[str, list[str]]:
    """Digests of all that is known of one person: {field: values} in, {field: digests} out, each
    digest once, in order. Fields of which nothing is left are left out."""
    rules = RULES[vendor]
    prepared = [
        (field, *one)
        for field, values in found.items()
        for value in values
        if (one := _prepare(rules[field], value, year))
    ]
    digests = iter(sha256_hex_many([text for _, text, is_digest in prepared if not is_digest]))
    hashed: dict[str, dict[str, None]] = {}
    for field, text, is_digest in prepared:
        hashed.setdefault(field, {})[text if is_digest else next(digests)] = None
    return {field: list(values) for field, values in hashed.items()}


def with_calling_code(phone: Any, calling_code: str) -> Any:
    """`phone` with the calling code of its country in front, where it was written without one.

    International is what begins with `+` or `00`, and what begins with the code itself and has 11 or
    more digits, as `1 (650) 555-1212`. A national number loses its leading zeros, but in Italy.
    """
    text = plain_text(phone)
    if text is None or as_digest(text, True):
        return phone
    number = digits(text)
    is_international = clean(text, SPACE).startswith(("+", "00")) or (
        number.startswith(calling_code) and len(number) >= _INTERNATIONAL_DIGITS
    )
    if is_international or not number:
        return phone
    return calling_code + (number if calling_code in _KEEPS_ZERO else number.lstrip("0"))


_INTERNATIONAL_DIGITS = 11
_KEEPS_ZERO = frozenset({"39", "378"})


def plain_text(value: Any) -> str | None:
    """A text, or a number as JavaScript writes it; None for nothing and for everything else."""
    if not isinstance(value, str):
        number = to_number(value)
        return number_text(number) if number is not None and abs(number) < 1e21 else None
    return None if value.strip() in _NOTHING else value


def _prepare(rule: Rule, value: Any, year: int) -> tuple[str, bool] | None:
    """(text, whether it is a digest already), or None where there is nothing to send."""
    text = plain_text(value)
    if text is None:
        return None
    digest = as_digest(text, rule.allows_md5)
    if digest:
        return digest, True
    normalised = rule.normalise(text)
    if not normalised or (rule.begins_with_year and not 1900 <= int(normalised[:4]) <= year):
        return None
    return normalised, False


# -- the fields, as Meta wants them ------------------------------------------------------------


def _email(text: str) -> str | None:
    email = clean(text, 0)
    return email if is_email(email) else None


def _phone_digits(text: str) -> str | None:
    """Digits with country code, without `+` and leading zeros. An inner `(0)` stays, as at Meta."""
    number = digits(text).lstrip("0")
    return number if 7 <= len(number) <= 15 else None


def _name(text: str) -> str:
    return clean(text, SPACE | PUNCTUATION)


def _birth_date(text: str) -> str | None:
    """YYYYMMDD, from itself or parts with `-`, `/` or `.` between, a time behind is ignored. Of
    `a/b/yyyy`, a is the month unless it cannot be."""
    day = re.split("[t ]", clean(text, 0))[0]
    parts = [day[:4], day[4:6], day[6:]] if len(day) == 8 and day.isdecimal() else re.split("[-/.]", day)
    if [len(part) == 4 for part in parts] not in ([True, False, False], [False, False, True]):
        return None
    try:
        first, second, third = map(int, parts)
        year, month, day_of_month = (first, second, third) if len(parts[0]) == 4 else (third, first, second)
        if len(parts[2]) == 4 and month > 12:
            month, day_of_month = day_of_month, month
        date(year, month, day_of_month)
    except ValueError:
        return None
    return f"{year:04}{month:02}{day_of_month:02}"


def _gender(text: str) -> str | None:
    return _GENDERS.get(_letters(text))


def _city(text: str) -> str:
    """Letters and digits. Letters of any script stay: public rules disagree (meta-capi 4.5)."""
    return clean(text, SPACE | PUNCTUATION | OTHER)


def _region(text: str) -> str:
    """Code of a US state or Canadian province; elsewhere the whole name."""
    letters = _letters(text)
    return _REGIONS.get(letters, letters)


def _postal_code(text: str) -> str:
    return clean(text, SPACE).partition("-")[0]


def _country(text: str) -> str | None:
    """ISO 3166-1 alpha-2, from itself, from alpha-3 or from an English name."""
    letters = _letters(text)
    return _COUNTRIES.get(letters) or _COUNTRIES.get(letters.removeprefix("the"))


def _id(text: str) -> str:
    return clean(text, SPACE)


def _letters(text: str) -> str:
    return clean(text, SPACE | PUNCTUATION | DIGITS | OTHER)


def _first(count: int) -> Callable[[str], str]:
    return lambda text: _name(text)[:count]


def _number_between(low: int, high: int) -> Callable[[str], str | None]:
    """A whole number in these bounds, with leading zeros to the width of the larger."""

    def normalise(text: str) -> str | None:
        number = clean(text, 0)
        is_number = number.isascii() and number.isdecimal() and len(number) <= len(str(high))
        return number.zfill(len(str(high))) if is_number and low <= int(number) <= high else None

    return normalise


RULES: dict[str, dict[str, Rule]] = {
    "meta": {
        "em": Rule(_email),
        "ph": Rule(_phone_digits),
        "fn": Rule(_name),
        "ln": Rule(_name),
        "db": Rule(_birth_date, begins_with_year=True),
        "ge": Rule(_gender),
        "ct": Rule(_city),
        "st": Rule(_region),
        "zp": Rule(_postal_code),
        "country": Rule(_country),
        "external_id": Rule(_id, allows_md5=False),
        "f5first": Rule(_first(5)),
        "f5last": Rule(_first(5)),
        "fi": Rule(_first(1)),
        "dobd": Rule(_number_between(1, 31)),
        "dobm": Rule(_number_between(1, 12)),
        "doby": Rule(_number_between(1900, LATEST_YEAR), begins_with_year=True),
    },
}
"""vendor -> its name of the field -> rule."""


# -- words -------------------------------------------------------------------------------------

_GENDERS = {"m": "m", "male": "m", "man": "m", "f": "f", "female": "f", "woman": "f"}


def _table(rows: str) -> dict[str, str]:
    """Letters of each name -> code, from `code name/name; code name`; & and "St" for "and", "Saint"."""
    table = {}
    for row in " ".join(rows.split()).split(";"):
        code, names = row.split(maxsplit=1)
        for name in names.split("/"):
            for spelling in (name, name.replace(" and ", " "), name.replace("Saint ", "St ")):
                table[_letters(spelling)] = code
    return table


# US states, territories, and Canadian provinces: USPS and Canada Post codes
_REGIONS = _table(
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
_COUNTRIES = {"uk": "gb"}
for _row in _COUNTRY_ROWS.split(";"):
    _alpha_2, _alpha_3, _names = _row.split(maxsplit=2)
    _COUNTRIES |= {_alpha_2: _alpha_2, _alpha_3: _alpha_2} | _table(f"{_alpha_2} {_names}")
