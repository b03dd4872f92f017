"""Dashboard: the API and the web page that show what happens now, and take acknowledgements."""
