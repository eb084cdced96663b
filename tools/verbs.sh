verb_help() { echo help; }
