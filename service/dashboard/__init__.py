"""The page: the same figures as the API's, for people who do not use curl (docs/decisions/0032).

    access      who may see which ledger            state, periods   what a URL asks for, and URLs that ask for something else
    desk        what a screen works with            screens/         one file per screen; each is found by its SCREEN
    tables      the one form of table               writing, labels  numbers, days and words in the reader's language
    live        tells open pages of new positions   answering        from a request to a page, with its headers
    signing_in  who somebody is, and a session      login            the pages for that; openid: by an OpenID provider

A screen is a module of `screens` with a SCREEN: its path, its question, its template, and the function that puts its figures
together. It reads by `desk`, which reads by what the API reads by: nothing is computed here.
"""
