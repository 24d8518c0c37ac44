import ByteIO
import LeanKTokenizer

func continuation(of text: String, in directory: String, _ next: ([Int]) -> Int) throws -> String {
  let folder = try DirectoryHandle(path: directory)
  let tokenizer = try Tokenizer(directory: folder)
  let end = try EndTokens(directory: folder)
  var ids = try tokenizer.encode(text)
  var stream = TextStream(tokenizer)
  var answer = ""
  for _ in 0..<100 {
    let id = next(ids)
    if end.contains(id) { break }
    ids.append(id)
    answer += try stream.append(id)
  }
  return try answer + stream.finish()
}
