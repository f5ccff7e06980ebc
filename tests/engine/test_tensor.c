/*
 * Shapes, type names and the half-precision conversions, every 16-bit pattern.
 *
 * One idea: rounding is right if the middle between two neighbours goes to the even one and the
 * floats next to the middle to the nearer one.
 */
#include "engine/tensor.h"
#include "test.h"

typedef struct half {
    const char *name;
    float (*widen)(uint16_t);
    uint16_t (*narrow)(float);
    uint16_t infinity;
} half;

static const half halves[] = {{"f16", rg_f16_to_float, rg_f16_from_float, 0x7c00},
                              {"bf16", rg_bf16_to_float, rg_bf16_from_float, 0x7f80}};

static void check_neighbours(const half *h, uint16_t low, float sign)
{
    uint16_t high = (uint16_t)(low + 1), flag = sign < 0 ? 0x8000 : 0;
    float a = h->widen(low);
    float b = high == h->infinity ? 2 * a - h->widen((uint16_t)(low - 1)) : h->widen(high);
    float middle = (float)((double)a + ((double)b - a) / 2);
    ck_assert_uint_eq(h->narrow(sign * a), flag | low);
    if (isinf(b)) return; /* beyond the largest bf16 there is no float middle */
    ck_assert_uint_eq(h->narrow(sign * middle), flag | (low & 1 ? high : low));
    ck_assert_uint_eq(h->narrow(sign * nextafterf(middle, 0)), flag | low);
    ck_assert_uint_eq(h->narrow(sign * nextafterf(middle, INFINITY)), flag | high);
}

START_TEST(halves_round_to_nearest_even)
{
    for (int k = 0; k < 2; k++) {
        const half *h = &halves[k];
        for (uint16_t low = 0; low < h->infinity; low++) {
            check_neighbours(h, low, 1);
            check_neighbours(h, low, -1);
        }
        for (uint32_t v = 0; v < 65536; v++) {
            float wide = h->widen((uint16_t)v);
            bool nan = (v & 0x7fff) > h->infinity;
            ck_assert_msg(isnan(wide) ? nan : !nan, "%s %04x", h->name, v);
            ck_assert_msg(nan ? isnan(h->widen(h->narrow(wide))) : h->narrow(wide) == v,
                          "%s %04x becomes %04x", h->name, v, h->narrow(wide));
        }
        ck_assert_uint_eq(h->narrow(INFINITY), h->infinity);
        ck_assert_uint_eq(h->narrow(-INFINITY), 0x8000 | h->infinity);
        ck_assert(isnan(h->widen(h->narrow(NAN))));
    }
    ck_assert(rg_f16_to_float(0x3c00) == 1 && rg_f16_to_float(0x0001) == 0x1p-24f);
    ck_assert(rg_bf16_to_float(0x3f80) == 1);
}
END_TEST

START_TEST(shapes)
{
    char text[96];
    rg_shape s = RG_SHAPE(2, 3, 4);
    ck_assert_int_eq(rg_shape_count(s), 24);
    ck_assert_int_eq(rg_shape_rows(s), 6);
    ck_assert_int_eq(rg_shape_last(s), 4);
    ck_assert_str_eq(rg_shape_text(s, text), "(2,3,4)");
    rg_shape scalar = rg_shape_of(0, NULL);
    ck_assert_int_eq(rg_shape_count(scalar), 1);
    ck_assert_int_eq(rg_shape_last(scalar), 1);
    ck_assert_str_eq(rg_shape_text(scalar, text), "()");
    ck_assert(rg_shape_equal(s, RG_SHAPE(2, 3, 4)) && !rg_shape_equal(s, RG_SHAPE(2, 12)));
    ck_assert(!rg_shape_equal(s, RG_SHAPE(2, 3, 5)));
    int64_t most = INT64_MAX;
    rg_shape_text(RG_SHAPE(most, most, most, most), text); /* must fit */
    ck_assert_int_eq(text[strlen(text) - 1], ')');
}
END_TEST

START_TEST(type_names)
{
    for (int i = 0; i < RG_DTYPE_COUNT; i++) {
        rg_dtype back;
        ck_assert(rg_dtype_parse(rg_dtype_text((rg_dtype)i), &back));
        ck_assert_int_eq(back, i);
    }
    rg_dtype untouched = RG_U8;
    ck_assert(!rg_dtype_parse("F31", &untouched) && untouched == RG_U8);
    ck_assert_uint_eq(rg_dtype_size(RG_BF16), 2);
    ck_assert_uint_eq(rg_dtype_size(RG_I64), 8);
}
END_TEST

RG_TEST_MAIN("tensor", 60, halves_round_to_nearest_even, shapes, type_names)
