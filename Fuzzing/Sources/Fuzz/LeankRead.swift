import LeanKFormat

/// A file is refused, or says the same when written again.
func leankRead(_ bytes: [UInt8]) {
  guard let file = try? LeankFile(bytes) else { return }
  guard let again = try? LeankFile.encode(file.document, replacing: file) else {
    fatalError("read but not written")
  }
  precondition(again.file.document == file.document, "read again differently")
}
