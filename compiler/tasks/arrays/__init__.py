"""Arrays as a network takes them and gives them: read from files, drawn where there is none, and shown as pictures."""
