/*
 * What is done to training crops besides cutting them out (Defossez et al. 2210.13438, 4.1).
 *
 * One idea: plain data, all of it off when zero; every draw is one of the crop's own random
 * numbers, so a crop stays a pure function of (seed, step, item).
 * Order: sources are brought to the level of their file, get a gain and a place between the two
 * channels, and are added up; reverb; a crop that is clipped is drawn again.
 * Not here: making crops (sampler.h), the room (reverb.h).
 */
#ifndef RG_DATASETS_AUGMENT_H
#define RG_DATASETS_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

enum { RG_MAX_MIXED = 4 };

typedef struct rg_augment {
    double mix[RG_MAX_MIXED];   /* [k]: share of the crops made of k + 1 sources; all 0: one each */
    double file_dbfs;           /* RMS level that each stem of a song is brought to; 0: as stored */
    double gain_low, gain_high; /* of a source, dB, drawn uniformly */
    double pan; /* a source lies up to here from the middle, 0 .. 1 = one side; two channels only,
                 * which are balanced so where they differ */
    double reverb;              /* share of the crops that get a room ... */
    bool reverb_single;         /* ... those of one source too */
    double rt60_low, rt60_high; /* seconds in which its sound falls by 60 dB */
    double wet_low, wet_high;   /* dB of the room's energy relative to the direct sound's */
    bool reject_clipped;        /* crops that reach full scale are drawn again */
} rg_augment;

#endif
