"""What clients connect to: accept, join what is live, send what was before, forward what comes."""
