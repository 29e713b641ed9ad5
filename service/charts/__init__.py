"""Charts as SVG, made by pure functions of numbers and words: the same for the page, for exports and for mail.

Colours stand as presentation attributes, with a class over them: a page's style sheet gives the class another colour in the dark,
and whoever has no style sheet – a PNG, a mail – sees the attribute. Marks may be links with titles.
"""
