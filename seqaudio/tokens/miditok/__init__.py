"""The tokenisers of the library MidiTok as representations, their grammars learned from its own rules."""
