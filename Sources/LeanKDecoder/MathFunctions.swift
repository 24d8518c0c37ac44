#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// The C library's functions, imported in one place.
enum Math {
  static func exp(_ x: Float) -> Float { expf(x) }
  static func tanh(_ x: Float) -> Float { tanhf(x) }
  static func erf(_ x: Float) -> Float { erff(x) }
  static func sine(_ x: Double) -> Double { sin(x) }
  static func cosine(_ x: Double) -> Double { cos(x) }
  static func logarithm(_ x: Double) -> Double { log(x) }
  static func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }
  static func exp(_ x: Double) -> Double {
    #if canImport(Darwin)
      Darwin.exp(x)
    #else
      Glibc.exp(x)
    #endif
  }
}
