// Vectors of one instruction set: what instruction_sets.h defines comes in, types and the functions that
// all loops share go out. vectors_end.h takes the names back.

#define LK_INLINE static inline __attribute__((always_inline)) LK_TARGET
#define VF LK_NAME(vf)
#define VI LK_NAME(vi)
#define VH LK_NAME(vh)

typedef float VF __attribute__((vector_size(LK_LANES * 4), aligned(4), may_alias));
typedef int32_t VI __attribute__((vector_size(LK_LANES * 4), aligned(4), may_alias));
typedef uint16_t VH __attribute__((vector_size(LK_LANES * 2), aligned(2), may_alias));

LK_INLINE float LK_NAME(widen_one)(const void *p, size_t i, leank_element type) {
  if (type == leank_f32) return ((const float *)p)[i];
  uint32_t h = ((const uint16_t *)p)[i], bits;
  float value;
  if (type == leank_bf16) {
    bits = h << 16;
    memcpy(&value, &bits, 4);
    return value;
  }
  // Exponent and mantissa moved into place, then rescaled: exact, subnormal numbers included.
  bits = (h & 0x7FFF) << 13;
  memcpy(&value, &bits, 4);
  value *= 0x1p112f;
  memcpy(&bits, &value, 4);
  bits |= (h & 0x8000) << 16;
  if ((h & 0x7C00) == 0x7C00) bits |= 0x7F800000;
  memcpy(&value, &bits, 4);
  return value;
}

LK_INLINE VF LK_NAME(load)(const void *p, size_t i, leank_element type) {
  if (type == leank_f32) return *(const VF *)((const float *)p + i);
  VH raw = *(const VH *)((const uint16_t *)p + i);
  if (type == leank_bf16) return (VF)(__builtin_convertvector(raw, VI) << 16);
#if LK_NATIVE_HALF
  typedef _Float16 half __attribute__((vector_size(LK_LANES * 2)));
  return __builtin_convertvector((half)raw, VF);
#else
  VI h = __builtin_convertvector(raw, VI);
  VI bits = (VI)((VF)((h & 0x7FFF) << 13) * 0x1p112f);
  VI special = (VI)((h & 0x7C00) == 0x7C00);
  return (VF)(bits | (h & 0x8000) << 16 | (special & 0x7F800000));
#endif
}

LK_INLINE VF LK_NAME(exp_vector)(VF x) {
  // 2^n * exp(r) with n the nearest integer to x / ln 2; about one unit in the last place.
  VI tiny = (VI)(x < -87.0f), huge = (VI)(x > 88.0f);
  const VF largest = (VF){0} + 88.0f;
  VF bounded = (VF)((~(tiny | huge) & (VI)x) | (huge & (VI)largest));
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  VF shifted = bounded * 1.44269504088896341f + magic;
  VF n = shifted - magic;
  VF r = bounded - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  VF p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  VF scale = (VF)(((VI)shifted + 127) << 23);
  return (VF)(~tiny & (VI)(p * scale));
}
