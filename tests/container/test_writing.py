from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgtm.container.document import read_document
from sgtm.container.writing import write_container

texts = st.text(max_size=20) | st.sampled_from(
    [
        "1e3",
        "007",
        "1.5",
        "no",
        "on",
        "yes",
        "null",
        "~",
        "true",
        "{{A}}",
        "# a",
        "a: b",
        "- a",
        "|",
        "",
        "\n",
        "a\n\n",
    ]
    + ["  a\n b", "a\n b ", "\ta", "12:30", "2026-01-01", "0x1F", "<<", "a\r\nb", "\u2028", "a\x85b", "..."]
)
values = st.recursive(
    texts | st.integers(-(10**15), 10**15) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts.filter(lambda key: key != "<<"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["name", "type", "parameters"]), values), max_size=3))
@example([{"name": "a\n\n\n"}, {"name": "b"}])
def test_what_is_written_is_read_again(entities):
    data = {"sgtm": 1, "name": "shop", "tags": entities, "variables": entities}
    document = read_document(write_container(data, {("tags", 0): ["a note", "", "of two"]}).encode())
    assert document.flaws == []
    expected = {key: value or None if key in ("tags", "variables") else value for key, value in data.items()}
    assert document.data == expected


def test_it_looks_as_a_person_would_write_it():
    data = {
        "sgtm": 1,
        "consent": {"unset": "granted"},
        "tags": [
            {"name": "A", "firing_triggers": ["All Events"], "parameters": {"id": "7", "text": "a\nb\n"}}
        ],
    }
    assert write_container(data, {("tags", 0): ["a note"]}, ["by hand"]) == (
        "sgtm: 1\n# by hand\nconsent:\n  unset: granted\n\n"
        "tags:\n  # a note\n  - name: A\n    firing_triggers:\n"
        '      - All Events\n    parameters:\n      id: "7"\n      text: |\n        a\n        b\n'
    )
