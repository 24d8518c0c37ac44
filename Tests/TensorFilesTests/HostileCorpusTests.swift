import ByteIO
import TensorFiles
import TestSupport
import Testing

/// The verdict on every array file of the hostile corpus, and the class of each refusal.
struct HostileCorpusTests {
  @Test func verdicts() throws {
    guard let corpus = try HostileCorpus() else { return }
    var counts: [String: Int] = [:]
    for entry in corpus.cases {
      guard let read = Self.readers[entry.kind] else { continue }
      counts[entry.kind, default: 0] += 1
      let bytes = try corpus.bytes(of: entry)
      do throws(TensorFileError) {
        try read(bytes)
        #expect(entry.isAccepted, "accepted \(entry.file): \(entry.why)")
      } catch {
        #expect(
          !entry.isAccepted && error.failureClass.rawValue == entry.failureClass,
          "\(entry.file) (\(entry.why)): class \(error.failureClass.rawValue), \(error)")
        #expect(
          error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F },
          "\(entry.file): message is not one plain line")
      }
    }
    #expect(counts == ["npy": 74, "npz": 49, "pth": 153, "tsv": 59])
    #expect(!corpus.isCompromised)
  }

  static let readers: [String: @Sendable ([UInt8]) throws(TensorFileError) -> Void] = [
    "npy": { bytes throws(TensorFileError) in _ = try NpyReader.read(bytes.span) },
    "npz": { bytes throws(TensorFileError) in _ = try NpzReader.read(bytes.span) },
    "pth": { bytes throws(TensorFileError) in _ = try PthReader.read(bytes.span) },
    "tsv": { bytes throws(TensorFileError) in _ = try TsvReader.read(bytes.span) },
  ]
}
