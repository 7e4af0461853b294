-- Whether a token is a member's: by its hash where the member's is sealed.
local function holds(member, token, sha256)
  local m = object(member)
  if not m then return false end
  if m.tokenSha256 then return m.tokenSha256 == sha256 end
  return m.guestToken == token
end
