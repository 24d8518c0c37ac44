import ByteIO
import TensorFiles
import TestSupport
import Testing

/// Ten thousand damaged files per reader: each is refused or read, none ends the process.
struct MutationTests {
  private static let rounds = 10_000

  private static func run(
    _ seeds: [[UInt8]], _ read: ([UInt8]) throws(TensorFileError) -> Void
  ) -> (accepted: Int, refused: Int) {
    var counts = (accepted: 0, refused: 0)
    for round in 0..<rounds {
      var mutator = ByteMutator(seed: UInt64(round))
      do throws(TensorFileError) {
        try read(mutator.mutant(of: seeds[round % seeds.count]))
        counts.accepted += 1
      } catch {
        #expect((3...5).contains(error.failureClass.rawValue), "seed \(round): \(error)")
        counts.refused += 1
      }
    }
    return counts
  }

  private static func files(_ names: [String]) throws -> [[UInt8]] {
    try names.map { try Fixtures.bytes("Tensors/" + $0) }
  }

  @Test func npy() throws {
    let seeds = try Self.files([
      "bool.npy", "float16.npy", "fortran_big_endian.npy", "version2.npy",
    ])
    let counts = Self.run(seeds) { bytes throws(TensorFileError) in
      let array = try NpyReader.read(bytes.span)
      #expect(array.bytes.count < 1 << 20)
    }
    #expect(counts.accepted > 0 && counts.refused > 0)
  }

  @Test func npzArchives() throws {
    let seeds = try Self.files(["stored.npz", "deflated.npz", "ragged.npz"])
    let counts = Self.run(seeds) { bytes throws(TensorFileError) in
      _ = try NpzReader.read(bytes.span)
    }
    #expect(counts.accepted > 0 && counts.refused > 0)
  }

  /// The member is damaged and the archive around it is whole, so that deeper checks are reached.
  @Test func npzMembers() throws {
    let counts = Self.run(try Self.files(["bool.npy"])) { bytes throws(TensorFileError) in
      let file = ZipBuilder([.init("a.npy", bytes)]).bytes
      _ = try NpzReader.read(file.span)
    }
    #expect(counts.accepted > 0 && counts.refused > 0)
  }

  @Test func pthArchives() throws {
    let seeds = try Self.files(["tensor.pth", "numpy_bool.pth", "dict.pth"])
    let counts = Self.run(seeds) { bytes throws(TensorFileError) in
      _ = try PthReader.read(bytes.span)
    }
    #expect(counts.accepted > 0 && counts.refused > 0)
  }

  @Test func pthPickles() throws {
    let files = try Self.files([
      "tensor.pth", "numpy_bool.pth", "list.pth", "numpy_list.pth", "state_dict.pth",
      "parameter.pth", "numpy_fortran.pth", "dict.pth",
    ])
    let pickles = files.map { file in
      // data.pkl is the first member: name and extra field, then the pickle up to its descriptor
      let name: UInt16 = file.span.littleEndian(at: 26)
      let extra: UInt16 = file.span.littleEndian(at: 28)
      let start = 30 + Int(name) + Int(extra)
      let end = (start..<file.count).first { file[$0...].starts(with: [0x50, 0x4B, 7, 8]) }
      return Array(file[start..<(end ?? start)])
    }
    let storage = [UInt8](repeating: 1, count: 96)
    let counts = Self.run(pickles) { bytes throws(TensorFileError) in
      let file = ZipBuilder([
        .init("a/data.pkl", bytes), .init("a/data/0", storage), .init("a/data/1", storage),
      ]).bytes
      _ = try PthReader.read(file.span)
    }
    #expect(counts.accepted > 0 && counts.refused > 0)
  }

  @Test func tsv() throws {
    let seeds = [
      Array("0\t1\t0.5\n1e-3\t.25\t1.\n".utf8), try Fixtures.bytes("Tensors/alpha.tsv"),
    ]
    let counts = Self.run(seeds) { bytes throws(TensorFileError) in
      _ = try TsvReader.read(bytes.span)
    }
    #expect(counts.accepted > 0 && counts.refused > 0)
  }
}
