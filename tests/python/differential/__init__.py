"""A differential test: random projects and histories on one store that real Metaxy and metaxy-pipes use in turn.

A case is plain JSON (`case.py` says what is in it), so that it can be kept, replayed and shrunk:

    generate   a case from a seed
    run        plays a case: each step by Metaxy (`theirs`) or by us (`ours`), then compares what both say
    compare    what equal means, with the rules of docs/compatibility.md
    shrink     the smallest case that still shows a difference
    search     `make interop`: fresh seeds until the time is up
"""
