import Foundation

/// What each target does with an input. It returns where the input was refused or all holds, and
/// traps otherwise.
private let targets: [String: @Sendable ([UInt8]) -> Void] = [
  "leank_read": leankRead, "leank_roundtrip": leankRoundtrip, "leank_structured": leankStructured,
  "safetensors_header": safetensorsHeader, "index_json": indexJson, "json_strict": jsonStrict,
  "npy": npy, "zip_reader": zipReader, "pickle": pickle, "pth_whole": pthWhole, "tsv": tsv,
  "mask_json": maskJson, "tokenizer_json": tokenizerJson, "chat_template": chatTemplate,
]

/// The target that the environment names; arguments are libFuzzer's, which starts itself again with
/// them when it minimises.
private let target: @Sendable ([UInt8]) -> Void = {
  let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
  guard let target = targets[name] else {
    let names = targets.keys.sorted().joined(separator: " ")
    FileHandle.standardError.write(Data("set FUZZ_TARGET to one of: \(names)\n".utf8))
    exit(64)
  }
  return target
}()

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ test: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// Hands the process over to libFuzzer. SwiftPM wants a symbol `<Target>_main` in an executable and
/// libFuzzer brings `main`.
@_cdecl("Fuzz_main")
public func start(
  _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> CInt {
  var (count, arguments) = (count, arguments)
  return runDriver(&count, &arguments, test)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  target([UInt8](UnsafeBufferPointer(start: start, count: count)))
  return 0
}

/// CRC-32 of zip and `.leank`.
func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
  var value: UInt32 = .max
  for byte in bytes {
    value = value >> 8 ^ remainders[Int(UInt8(truncatingIfNeeded: value) ^ byte)]
  }
  return ~value
}

private let remainders: [UInt32] = (UInt32(0)..<256).map { byte in
  (0..<8).reduce(byte) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
}
