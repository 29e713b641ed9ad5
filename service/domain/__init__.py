"""The pure rules of SPEC.md: standard library only, no I/O, no clock.

Reading order: `money`, `calendar` (amounts and days), `fields`, `definitions`, `catalogue`, `events` (what may come in),
`facts` (what the engine keeps of an event), `journey` (the fold), `postings` and the read models `roi`, `conversion`, `velocity`
(what comes out).
"""
