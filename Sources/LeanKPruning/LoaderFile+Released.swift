extension LoaderFile {
  /// SHA-256 of the loaders that were released, the latest last; a test holds the last to the file.
  static let released: [(version: String, sha256: String)] = [
    ("1.0.0", "21f5ef39467ca9dd923e1ba6f270280fbcc151b9a84fff626f17363c2574c728")
  ]
}
