"""sgtm info (SPEC: requirements R244)"""


def test_it_says_who_claims_what_fires_and_where_it_goes(sgtm, shop):
    done = sgtm("info", shop)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("sgtm ")
    assert lines[1].startswith("container shop, version ")
    assert "denied" in lines[2]
    clients = [line for line in lines if line.startswith(("  GA4 (", "  Orders ("))]
    assert clients[0].startswith("  GA4 (ga4, priority 20): /g/collect")
    assert clients[1] == "  Orders (json, priority 10): /orders, /refunds"
    tags = lines[lines.index("tags, in firing order:") :]
    assert tags[1:5] == [
        "  Warehouse (http_request)",
        "    fires on: All Events",
        "    consent:  none asked",
        "    sends to: warehouse.example:8443",
    ]
    assert tags[5:7] == ["  Meta (meta_conversions)", "    fires on: Purchases"]
    assert "ad_storage" in tags[7]
    assert tags[8] == "    sends to: graph.facebook.com"


def test_a_broken_container_is_refused_with_all_its_problems(sgtm, shop):
    shop.write_text(shop.read_text().replace("type: json", "type: jsn").replace("pixel_id", "pixel"))
    done = sgtm("info", shop)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("error: ") == 2
    assert done.stderr.endswith("2 errors\n")


def test_no_secret_is_shown(sgtm, shop):
    assert "very secret" not in sgtm("info", shop, env={"META_TOKEN": "very secret"}).stdout
