// Holds the precompiled header that the modules share.
