extension LoaderFile {
  /// SHA-256 of the loaders that were released, the latest last; a test holds the last to the file.
  static let released: [(version: String, sha256: String)] = [
    ("0.1.0", "2147d8823195d221f72417f4cca473ac3c37c5f7778bdda828f8cdc29d771b94")
  ]
}
