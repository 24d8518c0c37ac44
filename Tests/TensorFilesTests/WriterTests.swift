import ByteIO
import Foundation
import TestSupport
import Testing

@testable import TensorFiles

struct WriterTests {
  static let numpyScalars: [ScalarType] = [
    .bool, .u8, .i8, .u16, .i16, .u32, .i32, .u64, .i64, .f16, .f32, .f64,
  ]
  static let torchScalars: [ScalarType] = [
    .bool, .u8, .i8, .i16, .i32, .i64, .f16, .bf16, .f32, .f64,
  ]
  static let shapes: [[Int]] = [[], [1], [5], [0, 4], [2, 3], [300, 2], [2, 1, 3, 2]]

  private static func array(_ scalar: ScalarType, _ shape: [Int]) -> TensorArray {
    var generator = SeededGenerator(seed: UInt64(shape.count) << 8 | UInt64(scalar.bitWidth))
    let count = shape.reduce(1, *) * scalar.bitWidth / 8
    return TensorArray(
      scalar: scalar, shape: shape, bytes: (0..<count).map { _ in UInt8(generator.next() % 2) })
  }

  /// Data that begins as far into a page as the source's is copied page by page; a small file is not
  /// made larger for that.
  @Test(arguments: [(1 << 20, 1000), ((1 << 20) - 1, 80)])
  func headersKeepPlacesInAPage(size: Int, start: Int) {
    for source in [1000, 4096 + 1000] {
      let header = SafetensorsHeader(
        layingOut: [(name: "a", scalar: .u8, shape: [size])], metadata: [:], inPagesLike: source)
      #expect(header.dataStart == start)
      #expect(header.encoded.count == start)
    }
  }

  @Test(arguments: numpyScalars, shapes)
  func npyRoundTrip(scalar: ScalarType, shape: [Int]) throws {
    let array = Self.array(scalar, shape)
    let file = try NpyWriter.bytes(of: array)
    let again = try NpyReader.read(file.span)
    #expect(again == array)
  }

  @Test(arguments: torchScalars, shapes)
  func pthRoundTrip(scalar: ScalarType, shape: [Int]) throws {
    let array = Self.array(scalar, shape)
    let file = try PthWriter.bytes(of: array)
    let again = try PthReader.read(file.span)
    #expect(again == [NamedTensor(name: "", array: array)])
  }

  /// What torch's restricted reader allows and LeanK's runtime indexes: one bare contiguous tensor,
  /// rebuilt by `_rebuild_tensor_v2` from a typed storage; `check_torch_export.py` runs torch on it.
  @Test func pthIsOneBareContiguousTensor() throws {
    let array = TensorArray(
      scalar: .f32, shape: [2, 3, 300], bytes: [UInt8](repeating: 0, count: 7200))
    let file = try PthWriter.bytes(of: array)
    let parts: [[UInt8]] = [
      [0x80, 2], Array("ctorch._utils\n_rebuild_tensor_v2\n".utf8), [0x28, 0x28],
      [0x58, 7, 0, 0, 0], Array("storage".utf8), Array("ctorch\nFloatStorage\n".utf8),
      [0x58, 1, 0, 0, 0], Array("0".utf8), [0x58, 3, 0, 0, 0], Array("cpu".utf8),
      [0x4A, 0x08, 0x07, 0, 0], [0x74, 0x51],  // 1,800 elements; tuple, persistent id
      [0x4B, 0],  // storage offset
      [0x28, 0x4B, 2, 0x4B, 3, 0x4A, 0x2C, 1, 0, 0, 0x74],  // shape
      [0x28, 0x4A, 0x84, 3, 0, 0, 0x4A, 0x2C, 1, 0, 0, 0x4B, 1, 0x74],  // strides 900, 300, 1
      [0x89], Array("ccollections\nOrderedDict\n".utf8), [0x29, 0x52],  // no gradient, no hooks
      [0x74, 0x52, 0x2E],
    ]
    let pickle = parts.flatMap(\.self)
    // members begin on multiples of 64
    #expect(Array(file[64..<64 + pickle.count]) == pickle)
    let archive = try ZipArchive(parsing: file.span, expected: "", limits: TensorFileLimits())
    #expect(
      archive.entries.map(\.name) == [
        "mask/data.pkl", "mask/byteorder", "mask/data/0", "mask/version",
      ])
  }

  @Test func npzRoundTrip() throws {
    let tensors = Self.numpyScalars.enumerated().map { index, scalar in
      NamedTensor(name: "ä\(index)", array: Self.array(scalar, [2, index]))
    }
    let file = try NpzWriter.bytes(of: tensors)
    let again = try NpzReader.read(file.span)
    #expect(again == tensors)
  }

  @Test func tsvIsAsCWouldPrintIt() throws {
    var values: [Double] = [0, 1, 0.5, 0.1, 1e-5, 0x1p-1022, 0x1p-1074, 1 - 0x1p-53, 0.3, 9.5e-10]
    var generator = SeededGenerator(seed: 5)
    while values.count < 400 {
      let value = Double(bitPattern: generator.next() >> 2)
      if value <= 1 { values.append(value) }
    }
    var writer = ByteWriter()
    for value in values { writer.append(value.bitPattern) }
    let table = TensorArray(scalar: .f64, shape: [20, values.count / 20], bytes: writer.bytes)
    let file = try TsvWriter.bytes(of: table)
    let cells = String(decoding: file, as: UTF8.self).split { $0 == "\t" || $0 == "\n" }
    #expect(cells.map(String.init) == values.map { String(format: "%.18e", $0) })
    let again = try TsvReader.read(file.span)
    #expect(again == table)
  }

  @Test func refusesWhatFormatsCannotHold() {
    let unwritable = TensorFileError(.unwritable, "")
    let brain = TensorArray(scalar: .bf16, shape: [1], bytes: [0, 0])
    #expect(throws: unwritable) { try NpyWriter.bytes(of: brain) }
    #expect(throws: unwritable) {
      try NpzWriter.bytes(of: [NamedTensor(name: "a", array: brain)])
    }
    let word = TensorArray(scalar: .u32, shape: [1], bytes: [0, 0, 0, 0])
    #expect(throws: unwritable) { try PthWriter.bytes(of: word) }
    #expect(throws: unwritable) { try TsvWriter.bytes(of: word) }
    let two = TensorArray(scalar: .f64, shape: [1, 1], bytes: [0, 0, 0, 0, 0, 0, 0, 0x40])
    #expect(throws: unwritable) { try TsvWriter.bytes(of: two) }
    let wide = TensorArray(scalar: .u8, shape: [Int](repeating: 1, count: 30_000), bytes: [0])
    #expect(throws: unwritable) { try NpyWriter.bytes(of: wide) }
    let long = TensorArray(scalar: .u8, shape: [], bytes: [0])
    let names = String(repeating: "n", count: 70_000)
    #expect(throws: unwritable) { try NpzWriter.bytes(of: [NamedTensor(name: names, array: long)]) }
  }

  /// torch and numpy open what we write. Skipped where they are not installed.
  @Test func torchAndNumpyOpenTheFiles() throws {
    let folder = try TemporaryDirectory()
    var checks: [String] = []
    for scalar in Self.torchScalars {
      let name = "\(scalar.rawValue).pth"
      let array = Self.array(scalar, [2, 3, 4])
      try folder.write(try PthWriter.bytes(of: array), to: name)
      checks.append("t('\(name)', '\(Self.hex(array.bytes))')")
    }
    for scalar in Self.numpyScalars {
      let array = Self.array(scalar, [2, 3, 4])
      try folder.write(
        try NpzWriter.bytes(of: [NamedTensor(name: "mask", array: array)]),
        to: "\(scalar.rawValue).npz")
      checks.append("n('\(scalar.rawValue).npz', '\(Self.hex(array.bytes))')")
    }
    let script = """
      import sys
      try: import numpy, torch
      except ImportError: sys.exit(9)
      def t(path, want):
          a = torch.load(path, weights_only=True)
          assert a.shape == (2, 3, 4) and a.untyped_storage().tolist() == list(bytes.fromhex(want)), path
      def n(path, want):
          a = numpy.load(path, allow_pickle=False)['mask']
          assert a.shape == (2, 3, 4) and a.tobytes().hex() == want, path
      \(checks.joined(separator: "\n"))
      """
    try folder.write(Array(script.utf8), to: "check.py")
    let python = Process()
    python.executableURL = URL(filePath: "/usr/bin/env")
    python.arguments = ["python3", "check.py"]
    python.currentDirectoryURL = URL(filePath: folder.path)
    try python.run()
    python.waitUntilExit()
    guard python.terminationStatus != 9, python.terminationStatus != 127 else {
      print("torchAndNumpyOpenTheFiles skipped: no python3 with numpy and torch")
      return
    }
    #expect(python.terminationStatus == 0)
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
