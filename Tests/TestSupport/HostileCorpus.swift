import ByteIO
import Foundation
import StrictJSON

/// The files that `Fixtures/Hostile/make_hostile.py` writes, made anew for one test.
public final class HostileCorpus: Sendable {
  /// One file and what a reader has to make of it.
  public struct Case: Sendable {
    /// Path inside the corpus; its first component is a folder named as the kind.
    public let file: String
    /// `npy`, `npz`, `pth`, `tsv`, `safetensors`, `index` or `config`.
    public let kind: String
    public let isAccepted: Bool
    public let why: String
    /// Exit code of a refusal: 3, 4 or 5.
    public let failureClass: Int
  }

  public let cases: [Case]
  public let directory: TemporaryDirectory

  /// Runs the generator. Returns nil where there is no python3, and prints that.
  public init?() throws {
    directory = try TemporaryDirectory()
    let generator = Process()
    generator.executableURL = URL(filePath: "/usr/bin/env")
    generator.arguments = ["python3", Fixtures.path("Hostile/make_hostile.py"), directory.path]
    generator.currentDirectoryURL = URL(filePath: directory.path)
    generator.standardOutput = FileHandle.nullDevice
    try generator.run()
    generator.waitUntilExit()
    guard generator.terminationStatus == 0 else {
      print("hostile corpus skipped: python3 ended with \(generator.terminationStatus)")
      return nil
    }
    let manifest = try Self.json(at: directory.path("manifest.json"))
    let classes = try Self.json(at: Fixtures.path("Hostile/classes.json"))
    cases = manifest.root.children.compactMap { _, entry in
      guard let file = entry["file"]?.string, let kind = entry["kind"]?.string,
        let expect = entry["expect"]?.string, kind != "support"
      else { return nil }
      return Case(
        file: file, kind: kind, isAccepted: expect == "accept", why: entry["why"]?.string ?? "",
        failureClass: classes.root[file]?.integer ?? 3)
    }
  }

  public func bytes(of entry: Case) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(filePath: directory.path(entry.file))))
  }

  /// Whether a file named PWNED is anywhere in the corpus: a reader ran what it should have read.
  public var isCompromised: Bool {
    let files = FileManager.default.enumerator(atPath: directory.path)
    while let name = files?.nextObject() as? String {
      if name.hasSuffix("PWNED") { return true }
    }
    return FileManager.default.fileExists(atPath: "PWNED")
  }

  private static func json(at path: String) throws -> JSONDocument {
    try JSONDocument([UInt8](try Data(contentsOf: URL(filePath: path))))
  }
}
