/// What libFuzzer calls for each input.
public typealias TestOneInput = @convention(c) (UnsafePointer<UInt8>, Int) -> CInt

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ test: TestOneInput
) -> CInt

/// Hands the process over to libFuzzer.
///
/// SwiftPM wants a symbol `<Target>_main` in an executable and libFuzzer brings `main`, so each
/// target declares the former and calls this.
public func fuzz(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>,
  _ test: TestOneInput
) -> CInt {
  var (count, arguments) = (count, arguments)
  return runDriver(&count, &arguments, test)
}

/// libFuzzer's bytes as the readers take them.
public func array(_ start: UnsafePointer<UInt8>, _ count: Int) -> [UInt8] {
  [UInt8](UnsafeBufferPointer(start: start, count: count))
}

/// CRC-32 of zip and `.leank`.
public func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
  var value: UInt32 = .max
  for byte in bytes {
    value = value >> 8 ^ remainders[Int(UInt8(truncatingIfNeeded: value) ^ byte)]
  }
  return ~value
}

private let remainders: [UInt32] = (UInt32(0)..<256).map { byte in
  (0..<8).reduce(byte) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
}
