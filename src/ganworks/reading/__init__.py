"""From picture files to pixels, in processes of their own. Nothing here needs torch, so a worker starts at once."""
