/* Writers, pruners, forgetting and fencing on one repository with put-if-absent; every read that matters is a step.
 *
 * One chunk. Pack 0 and pack 1 hold it from the start, and image 0, which the first writer committed, needs it. Each
 * writer that begins may store it once more, in the pack of its own number. Any process may stop anywhere for ever;
 * candidates are any set of packs; rows are any that were ever published. What must hold: while an image stands, a pack
 * that holds the chunk is there.
 *
 * The names below are those of the table of shortcuts in docs/explanation/concurrency.md: defining one plants it, and
 * the checker must then find how an image is lost.
 */
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef PRUNERS
#define PRUNERS 2
#endif
#ifndef BEGINNINGS
#define BEGINNINGS 1    /* how often a fenced writer begins again, with the first */
#endif
#ifdef REPACK
#define EACH 2          /* entries of a pruner */
#else
#define EACH 1
#endif
#define SLOTS (1 + WRITERS * BEGINNINGS + EACH * PRUNERS)
#define OLD 2
#define OWN(n) (1 << (OLD + (n)))

mtype = { nobody, image, gone, upkeep };

byte end = 1;           /* the ledger: entry 0 is the BEGIN of image 0 */
bool begins[SLOTS];     /* is the entry a BEGIN? else it is a list, or not there */
short closed = 0;       /* packs that some list names; lists are never withdrawn */
mtype commits[SLOTS];   /* what stands at the commit key of each BEGIN */
#ifdef ROLL
bool rolled = false;    /* is there a roll of the first ROLL entries? */
bool in_roll[SLOTS];    /* which of them it calls a BEGIN */
short early[ROLL];      /* the packs that each of them lists, */
short late = 0;         /* those that the others list, */
short in_roll_closed = 0;   /* and those that the roll says are listed */
#define BEGINS(k) ((rolled && k < ROLL) -> in_roll[k] : begins[k])
#define CLOSED (rolled -> (in_roll_closed | late) : closed)
#else
#define BEGINS(k) begins[k]
#define CLOSED closed
#endif
short exist = 3;        /* packs that are there */
short rows = 3;         /* packs that some row ever named */
bool stands = true;     /* does some image? kept beside commits, so that one assertion says it all */

inline count_images() {
    stands = false;
    at = 0;
    do
    :: at < SLOTS -> if :: commits[at] == image -> stands = true :: else fi; at++
    :: else -> break
    od;
    at = 0
}

inline all_is_well() {
    count_images();
    assert(!stands || exist != 0)
}

inline begin_writing() {
    atomic { n = end; end++; begins[n] = true; commits[n] = nobody }
}

proctype Writer() {
    byte n, at;
    byte left = BEGINNINGS;
    short known_closed = 0, relied;
again:
    left--;
#ifdef NO_RECHECK
    known_closed = CLOSED;
    begin_writing();
#else
    atomic { known_closed = CLOSED; begin_writing() }
#endif
    relied = rows & ~known_closed;
    if
    :: relied                                                         /* reuse: any open pack, whatever its row's age */
#ifdef NAME
    :: known_closed & 1 -> atomic { exist = exist | 1; relied = 1 }   /* the same bytes, the same name */
#endif
    :: atomic { exist = exist | OWN(n); rows = rows | OWN(n); relied = OWN(n) }
    fi;
#ifdef LATE_CHECK
    if :: (closed & relied) == relied -> goto out :: else fi;
#endif
    atomic {
        if
        :: commits[n] == nobody -> commits[n] = image; all_is_well(); goto out
        :: else
        fi
    }
    if
    :: left > 0 -> goto again
    :: atomic { commits[n] == nobody -> commits[n] = image; all_is_well() }    /* it was sent before, and arrives now */
    :: left == 0
    fi;
out:
    if
    :: atomic { commits[n] == nobody -> commits[n] = image; all_is_well() }    /* the same */
    :: true
    fi
}

#ifdef ROLL
/* Anybody copies the first entries, one after the other, once the last of them is there. */
proctype Roller() {
    byte k;
#ifndef ROLL_EARLY
    end >= ROLL;
#endif
    do
    :: k < ROLL ->
        in_roll[k] = begins[k];
#ifdef ROLL_DROPS
        in_roll_closed = in_roll_closed | (early[k] & exist);
#else
        in_roll_closed = in_roll_closed | early[k];
#endif
        k++
    :: else -> break
    od;
    rolled = true
}
#endif

proctype Pruner() {
    byte c, k, n, at;
    short candidates, view, doomed;
    bool needed = false;
#ifdef EARLY_FRONTIER
    byte frontier = end;
#endif
    do
    :: candidates = candidates | 1
    :: candidates = candidates | 2
    :: rows >> OLD -> candidates = candidates | (rows & ~3)
    :: candidates -> break
    od;
#ifdef VIEW_EARLY
    view = closed | candidates;
#endif
    atomic {
        c = end; end++; closed = closed | candidates
#ifdef ROLL
        ;
        if :: c < ROLL -> early[c] = candidates :: else -> late = late | candidates fi
#endif
    }
    k = 0;
#ifdef ROLL_IS_END
    byte last = (rolled -> ROLL : c);   /* what follows the roll is not looked at */
#else
    byte last = c;
#endif
    do
#ifdef EARLY_FRONTIER
    :: k < frontier && k < c && BEGINS(k) ->
#else
    :: k < c && k < last && BEGINS(k) ->
#endif
        if
#if defined(CLOCK) || defined(LATE_CHECK)
        :: commits[k] == nobody
#else
        :: atomic { commits[k] == nobody -> commits[k] = gone }    /* the fence; not fencing is standing still here */
#endif
        :: commits[k] != nobody
        fi;
        if
        :: commits[k] == image -> needed = true
#ifdef LIST_IMAGES
        :: true
#else
        :: commits[k] != image
#endif
        fi;
        k++
#ifdef EARLY_FRONTIER
    :: k < c && (k >= frontier || !BEGINS(k)) -> k++
#else
    :: k < c && (k >= last || !BEGINS(k)) -> k++
#endif
    :: k == c -> break
    od;
#ifdef REPACK
    if
    :: needed && (exist & candidates) ->            /* repack: as a writer, of a copy that can be read */
        begin_writing();
        atomic { exist = exist | OWN(n); rows = rows | OWN(n) };
        atomic { if :: commits[n] == nobody -> commits[n] = upkeep :: else fi }
    :: true
    fi;
#endif
#ifdef COUNT_CLOSED
    view = candidates;
#endif
#if !defined(COUNT_CLOSED) && !defined(VIEW_EARLY)
    view = CLOSED;
#endif
    if
    :: !needed || (rows & ~view) != 0 -> doomed = candidates
    :: else -> doomed = 0
    fi;
#ifdef PARDON
    if :: doomed == 0 -> closed = closed & ~candidates :: else fi;
#endif
    do
    :: doomed & 1 -> atomic { exist = exist & ~1; doomed = doomed & ~1; all_is_well() }
    :: doomed & 2 -> atomic { exist = exist & ~2; doomed = doomed & ~2; all_is_well() }
    :: doomed & ~3 -> atomic { exist = exist & ~(doomed & ~3); doomed = doomed & 3; all_is_well() }
    :: doomed == 0 -> break
    od
}

/* Anybody forgets anything, at any time: needs only shrink. */
proctype Forgetter() {
    byte k;
    do
    :: k < SLOTS && commits[k] == image ->
#ifdef FORGET_DELETES
        commits[k] = nobody;
#else
        commits[k] = gone;
#endif
        k++
    :: k < SLOTS -> k++
    :: else -> break
    od
}

#ifdef VOID_CLEANED
proctype Cleaner() {
    byte k;
    do
    :: k < SLOTS && begins[k] && commits[k] == gone -> commits[k] = nobody; k++
    :: k < SLOTS -> k++
    :: else -> break
    od
}
#endif

init {
    byte at;
    atomic {
        begins[0] = true;
        do :: at < SLOTS -> commits[at] = nobody; at++ :: else -> break od;
        commits[0] = image;
        at = 0;
        do :: at < WRITERS -> run Writer(); at++ :: else -> break od;
        at = 0;
        do :: at < PRUNERS -> run Pruner(); at++ :: else -> break od;
#ifndef NO_FORGETTING
        run Forgetter();
#endif
#ifdef ROLL
        run Roller();
#endif
#ifdef VOID_CLEANED
        run Cleaner()
#endif
    }
}
