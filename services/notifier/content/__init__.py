"""Content: renders notifications for people, as a subject, text, HTML and a chart.

`rendering` is the entry point. `message_view` and `phrasing` turn a message into template values, `templates`
loads and checks the templates, `chart` draws.
"""
