extension LoaderFile {
  /// SHA-256 of the loaders that were released, the latest last; a test holds the last to the file.
  static let released: [(version: String, sha256: String)] = [
    ("0.1.0", "e7a48c4125056a3fd235b5268c681c0ed9662a4e97483deeff9ac459504adecd")
  ]
}
