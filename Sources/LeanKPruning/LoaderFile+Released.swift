extension LoaderFile {
  /// SHA-256 of the loaders that were released, the latest last; a test holds the last to the file.
  static let released: [(version: String, sha256: String)] = [
    ("0.1.0", "d08ceafd68fcce3464594f5d4ceb939081e966d73a3e798fffdd1aeecee9a947")
  ]
}
