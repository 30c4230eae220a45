int zonecfg_placeholder(void) { return 0; }
