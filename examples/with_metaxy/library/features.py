"""The features, as any Metaxy project has them. Nothing here says which step is Python and which is Go."""

import metaxy as mx


class Book(
    mx.BaseFeature,
    spec=mx.FeatureSpec(key="library/book", id_columns=["book"], fields=["title", "text"]),
):
    """A book as it came in."""

    book: str
    title: str
    text: str


class Words(
    mx.BaseFeature,
    spec=mx.FeatureSpec(
        key="library/words",
        id_columns=["book"],
        deps=[mx.FeatureDep(feature="library/book")],
        fields=[
            mx.FieldSpec(key="count", code_version="1", deps=[mx.FieldDep(feature="library/book", fields=["text"])]),
        ],
    ),
):
    """How many words a book has, and its longest one."""

    book: str
    words: int
    longest: str


class Card(
    mx.BaseFeature,
    spec=mx.FeatureSpec(
        key="library/card",
        id_columns=["book"],
        deps=[
            mx.FeatureDep(feature="library/book", select=["title"]),
            mx.FeatureDep(feature="library/words", select=["words", "longest"]),
        ],
        fields=["line"],
    ),
):
    """What the catalogue says about a book."""

    book: str
    line: str
