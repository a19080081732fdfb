/* real: real numbers of any precision.  This is the door of GNU MPFR, and no type of MPFR comes out
   of it.

   A `bignum` is a view: its mantissa lies in limbs that someone else owns (an object of the heap,
   an arena, the C stack), so a number needs no destructor.  Every operation rounds its exact result to
   nearest, once, in the precision of the number that takes it; operands may have any precision.

   MPFR gets scratch memory from GMP, which aborts the process when malloc fails: with at most
   REAL_BITS_MOST bits an operation needs some megabytes, so that is as good as out of reach.
   Functions whose cost grows with the exponent of their argument (sine of 2^(10^9)) are refused. */
#ifndef NORN_REAL_H
#define NORN_REAL_H
#include "base/base.h"

enum { REAL_BITS_LEAST = 2, REAL_BITS_MOST = 1000000, REAL_BITS_DEFAULT = 256 };

/* sign * 0.m * 2^exponent, m the limbs as a binary fraction from the last one down, whose first bit
   is 1.  exponent and limbs count for NORN_BIG_FINITE only. */
typedef struct bignum {
  int64_t bits, exponent;
  norn_big_kind kind;
  int sign;                            /* -1 or 1 */
  uint64_t *limb;                      /* real_limbs(bits) of them, least first */
} bignum;
static inline int64_t real_limbs(int64_t bits) { return (bits + 63) / 64; }
/* A number (as yet nan) whose limbs are these. */
static inline bignum real_at(int64_t bits, uint64_t *limb)
{
  return (bignum){ bits, 0, NORN_BIG_NAN, 1, limb };
}

/* X(code, name in Norn or "", arguments) */
#define REAL_LIST(X) \
  X(ADD, "+", 2) X(SUB, "-", 2) X(MUL, "*", 2) X(DIV, "/", 2) X(IDIV, "//", 2) X(MOD, "%", 2) \
  X(POW, "pow", 2) X(NEG, "neg", 1) X(ABS, "abs", 1) X(SIGN, "sign", 1) X(MIN, "min", 2) \
  X(MAX, "max", 2) X(FLOOR, "floor", 1) X(CEIL, "ceil", 1) X(TRUNC, "trunc", 1) \
  X(ROUND, "round", 1) X(SQRT, "sqrt", 1) X(CBRT, "cbrt", 1) X(HYPOT, "hypot", 2) \
  X(EXP, "exp", 1) X(EXPM1, "expm1", 1) X(EXP2, "exp2", 1) X(LOG, "log", 1) \
  X(LOG1P, "log1p", 1) X(LOG2, "log2", 1) X(LOG10, "log10", 1) X(SIN, "sin", 1) \
  X(COS, "cos", 1) X(TAN, "tan", 1) X(ASIN, "asin", 1) X(ACOS, "acos", 1) X(ATAN, "atan", 1) \
  X(ATAN2, "atan2", 2) X(SINH, "sinh", 1) X(COSH, "cosh", 1) X(TANH, "tanh", 1) \
  X(ASINH, "asinh", 1) X(ACOSH, "acosh", 1) X(ATANH, "atanh", 1) X(GAMMA, "gamma_fn", 1) \
  X(LGAMMA, "lgamma", 1) X(DIGAMMA, "digamma", 1) X(LBETA, "lbeta", 2) X(BETA, "beta_fn", 2) \
  X(LCHOOSE, "lchoose", 2) X(GAMMA_INC, "gamma_inc", 2) X(ERF, "erf", 1) X(ERFC, "erfc", 1) \
  X(NORMAL_CDF, "normal_cdf", 1) X(INV_LOGIT, "inv_logit", 1) X(LOGIT, "logit", 1) \
  X(LOG1P_EXP, "log1p_exp", 1) X(LOG1M_EXP, "log1m_exp", 1) X(LOG1M, "log1m", 1) \
  X(LOG_ADD_EXP, "log_add_exp", 2) X(LOG_DIFF_EXP, "log_diff_exp", 2) X(ZETA, "zeta", 1) \
  X(EINT, "eint", 1) X(LI2, "li2", 1) X(AI, "airy_ai", 1) X(J0, "bessel_j0", 1) \
  X(J1, "bessel_j1", 1) X(JN, "bessel_jn", 2) X(Y0, "bessel_y0", 1) X(Y1, "bessel_y1", 1) \
  X(YN, "bessel_yn", 2) X(AGM, "agm", 2) X(PI, "", 0) X(EULER, "", 0) X(CATALAN, "", 0) \
  X(LN2, "", 0)
typedef enum {
#define X(code, name, n) REAL_##code,
  REAL_LIST(X)
#undef X
  REAL_COUNT
} real_op;

/* The operation of that name and how many arguments it has; -1 if there is none. */
int  real_find(const char *name, int *nargs);
/* z = op(a, b); b and a NULL where op has fewer arguments; z may be a or b.  false: an argument is
   beyond what can be computed (the z is nan). */
bool real_do(real_op, bignum *z, const bignum *a, const bignum *b);

void real_set(bignum *z, const bignum *x);                         /* rounded */
void real_set_double(bignum *z, double);
void real_set_int(bignum *z, int64_t);
double real_double(const bignum *);                              /* the nearest */
bool real_int(const bignum *, int64_t *);     /* false unless it is an integer of 64 bits */
/* -1, 0, 1 exactly; 2 when one of them is nan. */
int  real_compare(const bignum *, const bignum *);
/* Of the value, whatever its precision. */
uint64_t real_hash(const bignum *);
/* "-1.5e-300", "inf", "nan"; an integer may do without a point.  false: not a number. */
bool real_parse(bignum *z, const char *s, size_t n);
/* Decimal digits that survive the way there and back: floor((bits - 1) log10 2), at least 1. */
int64_t real_digits(int64_t bits);
/* The number to so many significant digits, trailing zeros cut off; 0: real_digits. */
void real_text(text *, const bignum *, int64_t digits);
/* real_digits, or as many digits more as it takes to read back the same number. */
void real_text_exact(text *, const bignum *);
/* Frees what MPFR keeps for constants.  */
void real_forget(void);

/* ---- formulas ----

   A calc makes numbers of one precision that all go at once: real_calc(c, REAL_ADD, x, y).  When
   memory fails its numbers are nan and `failed` is set. */
typedef struct calc { arena a; mem *m; int64_t bits; bool failed; } calc;
void  calc_init(calc *, mem *, int64_t bits);
void  calc_free(calc *);
bignum *calc_new(calc *, int64_t bits);                           /* nan; NULL: no memory */
const bignum *calc_do(calc *, real_op, const bignum *, const bignum *);
const bignum *calc_double(calc *, double);
const bignum *calc_int(calc *, int64_t);
const bignum *calc_copy(calc *, const bignum *);     /* exactly, in its own precision */
#endif
