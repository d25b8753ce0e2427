"""NoteSequence to sound and pictures: a SoundFont player, sine tones, piano rolls."""
