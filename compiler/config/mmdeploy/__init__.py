"""MMDeploy's words on a command line: the names and the keys of its deploy configs, and its commands."""
