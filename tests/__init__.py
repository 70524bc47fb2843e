"""What shows that eventflow keeps its promises: CONTRIBUTING.md says which folder is for what."""
