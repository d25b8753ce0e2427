"""The tokenisers of the library MidiTok as representations; most of their grammars are learned from examples."""
