/*
 * Turns between processes that change one folder's files: read, decide, write in one piece. Files are replaced by others of
 * their name, so it is the folder that is held (flock(2), advisory).
 *
 * Thread: any; threads of one process take turns, too.
 */
#ifndef MR_BASE_HOLD_H
#define MR_BASE_HOLD_H

/** Waits until nobody else holds the folder. A process that ends lets go. @return what hold_let_go() takes, or -errno */
int hold_folder(const char *dir);
/** The folder that a file is in, there or not. */
int hold_folder_of(const char *file);
/** Holds a file, which is made where it is missing, without waiting. @return what hold_let_go() takes, -EBUSY: another has it, or -errno */
int hold_file(const char *path);
/** @param held below 0: nothing is done */
void hold_let_go(int held);

#endif
