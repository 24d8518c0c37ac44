import ByteIO
import TensorFiles
import TestSupport
import Testing

/// The verdict on every safetensors file of the hostile corpus, and the class of each refusal.
struct HostileSafetensorsTests {
  @Test func verdicts() throws {
    guard let corpus = try HostileCorpus() else { return }
    let directory = try TemporaryDirectory()
    var count = 0
    for entry in corpus.cases where entry.kind == "safetensors" {
      count += 1
      let path = try directory.write(try corpus.bytes(of: entry), to: "file.safetensors")
      do throws(TensorFileError) {
        _ = try SafetensorsFile(path: path)
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
    #expect(count == 108)
  }
}
