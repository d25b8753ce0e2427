"""The `seqaudio` command and what all command lines share."""
