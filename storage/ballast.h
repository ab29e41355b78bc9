/* Ballast: space of the disk that is held for when there is no other: what the store needs to say
 * that slots of the log are free. */
#ifndef LEV_STORAGE_BALLAST_H
#define LEV_STORAGE_BALLAST_H

#include <stdbool.h>

/* Takes the space, if the disk has that and more to spare. Harmless to repeat. */
void ballast_take(const char *dir);

/* Gives it up; false if there was none. */
bool ballast_drop(const char *dir);

#endif
