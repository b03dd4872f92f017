"""Content: what a notice says to people, in a line, as text, as HTML and as a picture.

`notices` is the face of it. `words`, `measures` and `views` turn notices into what templates are given,
`templates` finds and checks these, `chart` draws.
"""
