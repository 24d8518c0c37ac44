extension LoaderFile {
  /// SHA-256 of the loaders that were released, the latest last; a test holds the last to the file.
  static let released: [(version: String, sha256: String)] = [
    ("0.1.0", "6917c90749aa9d50baf459b1c47e6e491c166564476e072f4bd3d8f49243cb5b")
  ]
}
