made = {
  adopt = adopt, expiry_of = expiry_of, file = file, gather = gather, is_expired = is_expired, object = object,
  sessions = sessions
}
return made
end
