import LeanKMask
import Testing

@Suite struct AttentionWindowTests {
  /// The question about one key and the place where the middle ends say the same.
  @Test func bothFormsOfTheRuleAgree() throws {
    for (sink, recent, accumulate) in [(0, 1, 1), (4, 8, 4), (3, 1, 7), (10, 2, 3), (0, 5, 1)] {
      let window = try AttentionWindow(sink: sink, recent: recent, accumulate: accumulate)
      for position in 0..<40 {
        for token in 1...(position + 1) {
          let end = window.middleEnd(token: token, position: position)
          for key in 0...position {
            #expect(
              window.isNear(key: key, token: token, position: position)
                == !(sink..<end).contains(key))
          }
        }
      }
    }
  }

  /// The number of tokens that a run takes, against trying them one after another.
  @Test func tokensToTheFirstMiddleKey() throws {
    for (sink, recent, accumulate) in [(0, 1, 1), (4, 8, 4), (3, 1, 7), (10, 2, 3), (2, 5, 1)] {
      let window = try AttentionWindow(sink: sink, recent: recent, accumulate: accumulate)
      for prompt in 0..<30 {
        let tried = (1...200).first { token in
          window.middleEnd(token: token, position: prompt + token - 1) > sink
        }
        #expect(window.tokensToMiddle(promptLength: prompt) == tried.map { prompt + $0 })
      }
    }
    let limit = Int(Int32.max)
    let largest = try AttentionWindow(sink: limit, recent: limit, accumulate: limit)
    #expect(largest.tokensToMiddle(promptLength: 1) == 1 + 2 * limit)
    #expect(largest.unaccumulated.accumulate == 1)
  }
}
