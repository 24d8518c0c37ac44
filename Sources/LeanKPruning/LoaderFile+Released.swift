extension LoaderFile {
  /// SHA-256 of the loaders that were released, the latest last; a test holds the last to the file.
  static let released: [(version: String, sha256: String)] = [
    ("0.1.0", "7c5f61ec5b1ebab62ced9a2c60b5b6e4307fd41110a644c209adce0201ff0541")
  ]
}
