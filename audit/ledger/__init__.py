"""The ledger of decisions as evidence: its chain, its tree, its heads, its end of life.

``content`` and ``merkle`` are pure; ``sealing`` writes links, ``heads`` signs and
publishes, ``verifying`` and ``proofs`` read. ``offline`` needs nothing of this project.
"""
