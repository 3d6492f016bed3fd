/* A library in the place of libfam that watches nothing: without it, Courier
   waits for a file alteration monitor that is not there, seconds at a time. */
int FAMErrno = 1;
char *FamErrlist[8];
int FAMOpen(void *c) { return -1; }
int FAMOpen2(void *c, const char *n) { return -1; }
int FAMClose(void *c) { return 0; }
int FAMMonitorDirectory(void *c, const char *f, void *r, void *u) { return -1; }
int FAMMonitorFile(void *c, const char *f, void *r, void *u) { return -1; }
int FAMMonitorDirectory2(void *c, const char *f, void *r) { return -1; }
int FAMMonitorFile2(void *c, const char *f, void *r) { return -1; }
int FAMCancelMonitor(void *c, void *r) { return -1; }
int FAMNextEvent(void *c, void *e) { return -1; }
int FAMPending(void *c) { return 0; }
int FAMNoExists(void *c) { return 0; }
