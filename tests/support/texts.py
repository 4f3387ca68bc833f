"""Texts that differ, though the usual collations of MariaDB take some for each other."""

from hypothesis import strategies as st

TEXTS = (
    "/🍵", "/🍺", "cafe", "café", "Tea", "tea", "https://s.example/AbC", "https://s.example/aBc",
)  # fmt: skip

#: Long paths of a shop in Chinese, and long links of a mail: alike up to their last letter.
LONG = ("茶" * 400 + "1", "茶" * 400 + "2", "x" * 500 + "1", "x" * 500 + "2")

#: Few letters, so that many texts are almost the same.
_letters = st.sampled_from(["a", "A", "ä", "á", "b", " ", "ß", "s", "🍵", "🍺", "\u0301"])

#: Texts that differ in little, with something that is no space at either end or not.
similar_texts = st.text(_letters, min_size=1, max_size=3) | st.sampled_from([*TEXTS, *LONG])
