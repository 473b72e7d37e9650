/* The marks on one image: protecting and deleting race, requests may arrive late, everybody may stop anywhere.
 *
 * What must hold: who was told that the image is protected finds it as long as nobody unprotects it (nobody does here).
 * LOOK_THEN_DELETE plants the shortcut: look whether it is protected, then delete it.
 */
#define MARKS 3

mtype = { none, protect, drop };

mtype marks[MARKS];     /* numbered, without gaps, each created once */
bool there = true;      /* the image */
bool promised = false;  /* somebody was told that it is protected */

/* Append `mark` after all that was read, unless the last one is `final`. The create is exclusive, and may be sent twice. */
inline append(mark, final, done) {
    done = false;
    k = 0;
    last = none;
    do
    :: k < MARKS && marks[k] != none -> last = marks[k]; k++
    :: k < MARKS && marks[k] == none ->
        if
        :: last == mark -> done = true; break
        :: last == final -> break
        :: else ->
            if
            :: atomic { marks[k] == none -> marks[k] = mark }; done = true; break
            :: marks[k] != none       /* somebody was first: read it */
            fi
        fi
    :: k == MARKS -> done = (last == mark); break
    od
}

proctype Protector() {
    byte k;
    mtype last;
    bool done;
    append(protect, drop, done);
    if
    :: done -> promised = true; assert(there)
    :: else
    fi
}

proctype Deleter() {
    byte k;
    mtype last;
    bool done;
#ifdef LOOK_THEN_DELETE
    done = !(marks[0] == protect || marks[1] == protect);
#else
    append(drop, protect, done);
#endif
    if
    :: done -> atomic { there = false; assert(!promised) }
    :: else
    fi
}

init {
    atomic {
        marks[0] = none; marks[1] = none; marks[2] = none;
        run Protector(); run Protector(); run Deleter(); run Deleter()
    }
}
